"""What nobody should send, sent by the million: generated and spoiled input into the real parts."""
