"""Which treatment is due again and which new one fits, for each customer; and who resembles whom.

What to do about it – the next best action – is decided above, in `marts`.
"""
