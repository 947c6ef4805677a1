"""Looking at instances, judging what was seen and writing it down."""
