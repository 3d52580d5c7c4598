"""The Schema Registry: asks it for schemas, on a thread of its own. Implements engine.ports."""
