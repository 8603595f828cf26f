"""Graph unlearning: nodes, edges, features and classes of a graph.

Empty for now. The folder is part of the core's namespace:

>>> from mlunlearn import graph
>>> graph.__name__
'mlunlearn.graph'
"""
