"""The server on many machines, by Ray Serve: sessions in some processes, engines in others."""
