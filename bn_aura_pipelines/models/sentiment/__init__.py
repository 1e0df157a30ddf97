"""Sentiment: which class a customer's words belong to, learnt from the labels that exist.

The model itself and its use are in `voice`, a floor below; here it is trained, judged, registered and promoted.
"""
