"""Amazon EC2, as far as it is about VPC endpoints: their policies and tags. The endpoints themselves are settings."""
