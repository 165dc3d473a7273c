"""The Wyoming protocol, which Home Assistant speaks with voice services; one small file a domain."""
