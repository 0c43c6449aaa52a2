"""Where trainings run: in this process, in a child, and later on other machines."""
