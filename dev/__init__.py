"""What helps to develop Podrelay, and is not installed: test clusters, images, the demo, tools, benchmarks."""
