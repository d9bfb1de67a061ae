"""New clients that join after training: options, text, first adapter, local training, report."""
