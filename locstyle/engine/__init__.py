"""What denoising is made of; knows no files, no plugins, no command line."""
