"""The network: in PyTorch, as an OpenVINO graph, in int8, and saved to files."""
