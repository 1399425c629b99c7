"""The MCP server: one thin tool for each question that the data can answer."""
