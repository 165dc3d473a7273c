"""Tools of servers that speak the Model Context Protocol, by the package `mcp`. Knows no conversation."""
