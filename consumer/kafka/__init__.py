"""Kafka: the member of the group, the observer of the cluster, the dead-letter topic."""
