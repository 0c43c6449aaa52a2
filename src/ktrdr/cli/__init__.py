"""The command line: one file a command group. Commands call the Client protocol; heavy imports are in their bodies."""
