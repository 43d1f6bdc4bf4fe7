"""From a corpus to a fine-tuned network: training that is exact, restartable and reloads what it saved."""
