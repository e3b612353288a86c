"""`LotterySearch`: rounds of training and pruning around a Keras model's own `fit`."""
