"""The commands beside the daemon, each in a folder of its own."""
