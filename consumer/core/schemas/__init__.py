"""Values whose schema a registry knows: framed by its id, decoded by Avro, Protobuf or JSON."""
