"""Loss, learning rate and the training loops."""
