"""Regression unlearning: continuous targets from images, text, series and tables.

Empty for now. The folder is part of the core's namespace:

>>> from mlunlearn import regression
>>> regression.__name__
'mlunlearn.regression'
"""
