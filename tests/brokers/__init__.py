"""The brokers that the daemon was tried with, and a way to try them again."""
