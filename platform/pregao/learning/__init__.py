"""Learning: labels, folds, training, judgement, the gate, the registry."""
