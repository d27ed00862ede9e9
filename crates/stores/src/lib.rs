//! Object stores by address: a local folder, S3 and compatibles, Azure Blob and ADLS Gen2, GCS.
