"""The tests. Those that need a real Kafka use the fixture ``broker``."""
