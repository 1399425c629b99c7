"""The read-only GraphQL schema over the functions that the JSON routes call: limits, schema, resolvers, HTTP."""
