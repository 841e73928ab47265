"""What a training keeps beside its network: options, run folder, checkpoints, curves, moving average, teacher."""
