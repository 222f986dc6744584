"""What tests of DAX share."""
