"""The process and its machine: signals, devices, GPU locks, progress, journal, memory."""
