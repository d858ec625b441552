"""Training with Lightning.

A batch is a list of sample numbers; the data module turns it into scenes on the training device.
Nothing random happens outside the counter-based recipes and the seeded first weights, so that a
run resumed at an epoch's end goes on exactly as if it had never stopped.
"""
