"""What tests of storage share: the engines that they hold to the seam, and processes that share a store."""
