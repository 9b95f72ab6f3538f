"""A run for a model hub, such as Hugging Face's: the model card, the folder of files, and the upload."""
