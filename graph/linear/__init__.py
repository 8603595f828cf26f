"""Linear graph neural networks, whose forgetting is algebra, exact or certified."""
