"""Graph unlearning: nodes, edges, features and classes of a graph."""
