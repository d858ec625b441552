"""Training with Lightning: a batch of sample numbers becomes scenes on the training device.

Nothing random happens outside the counter-based recipes and the seeded first weights, so that a
run resumed at an epoch's end goes on exactly as if it had never stopped.
"""
