"""What the tests stand on: a real Kafka, a TCP proxy, the daemon as a process."""
