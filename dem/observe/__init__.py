"""What those who run dem want to see of it: logs that machines read, and metrics."""
