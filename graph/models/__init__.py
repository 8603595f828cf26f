"""What is trained: estimators of nodes and edges, their networks, and how these are run."""
