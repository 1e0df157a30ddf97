"""What customers say, measured: sentiment, satisfaction, concerns and tone of every conversation, or why there is none.

Training and promotion of the sentiment model belong to `models.sentiment`; here it is only fitted and used.
"""
