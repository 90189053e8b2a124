"""Episodes, their numbers, and the training samples made of them."""
