"""The gRPC service: its server, its methods, its messages."""
