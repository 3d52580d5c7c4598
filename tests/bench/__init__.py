"""Figures about speed, memory and concurrency, each from one command."""
