"""What the floors say to one another: frozen values and narrow protocols, and nothing that computes."""
