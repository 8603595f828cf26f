"""Parts of a graph: neighbourhoods, balanced parts, pairs without an edge."""
