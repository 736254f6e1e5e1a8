"""The two networks: whose voice it is (CAM++), and who speaks at the same time (pyannote's segmentation)."""
