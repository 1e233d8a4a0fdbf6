"""What is asked in a study, how it is shared by processes, and how it goes on after a kill."""
