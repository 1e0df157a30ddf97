"""Text to vectors and search over them.

What a conversation, a lead or a customer says is rendered, redacted, embedded by a provider and kept in step with its
source. What a vector means to a model belongs to `features` and `models`.
"""
