//! Options of Auto Loader that mean nothing here, each with what to use instead.

use super::Refusal;

const STATE: &str = "the stream's state lies beside its table; there is nothing to choose";
const LOGIN: &str = "how a store or queue is reached is a setting of the store, not of the load";
const QUEUES: &str =
    "queues are not set up here; make one, subscribe it, and give `queueUrl` or `queueName`";
const TRIGGER: &str = "it is a trigger; write for example `trigger` = availableNow or 10 seconds";
const XML: &str = "it is an option of xml, which is not read; turn the files into JSON";
const UNOFFICIAL: &str = "it never was an option of Auto Loader, although some pages say so";

pub(super) const REFUSALS: &[Refusal] = &[
    refused("schemaLocation", STATE),
    refused("checkpointLocation", STATE),
    refused(
        "maxFileAge",
        "no file that was seen is ever forgotten, and none is loaded twice for it",
    ),
    refused("fetchParallelism", "a queue is read as fast as its events are planned"),
    refused("pathRewrites", "buckets are not mounted here; give the path that the events name"),
    refused("resourceTag.", QUEUES),
    refused("restrictNotificationSetupToSameAWSAccountId", QUEUES),
    refused(
        "subscription",
        "events of Google Cloud Storage are not read; `listingWindow` keeps listings short",
    ),
    refused("region", LOGIN),
    refused("awsAccessKey", LOGIN),
    refused("awsSecretKey", LOGIN),
    refused("roleArn", LOGIN),
    refused("roleExternalId", LOGIN),
    refused("roleSessionName", LOGIN),
    refused("stsEndpoint", LOGIN),
    refused("databricks.serviceCredential", LOGIN),
    refused("resourceGroup", QUEUES),
    refused("subscriptionId", QUEUES),
    refused("clientId", LOGIN),
    refused("clientSecret", LOGIN),
    refused("connectionString", LOGIN),
    refused("tenantId", LOGIN),
    refused("projectId", QUEUES),
    refused("client", LOGIN),
    refused("clientEmail", LOGIN),
    refused("privateKey", LOGIN),
    refused("privateKeyId", LOGIN),
    refused(
        "badRecordsPath",
        "bad records go to the table's quarantine, in step with the table; `mode` says the rest",
    ),
    refused(
        "columnNameOfCorruptRecord",
        "broken records go to the table's quarantine, with file, line and text",
    ),
    refused("avroSchema", "every Avro file holds its own schema; give columns with `schema`"),
    refused("inferSchema", "use `inferColumnTypes`"),
    refused("parserCaseSensitive", "Spark gave it up; use `readerCaseSensitive`"),
    refused("compression", "how a file is compressed is told by its name or its first bytes"),
    refused("availableNow", TRIGGER),
    refused("processingTime", TRIGGER),
    refused("once", "Spark gave it up, as it takes no limits; leave `trigger` at availableNow"),
    refused("rowTag", XML),
    refused("samplingRatio", "schemas are inferred from `sampleFiles` and `sampleBytes`"),
    refused("excludeAttribute", XML),
    refused("attributePrefix", XML),
    refused("valueTag", XML),
    refused("ignoreSurroundingSpaces", XML),
    refused("rowValidationXSDPath", XML),
    refused("ignoreNamespace", XML),
    refused("timestampNTZFormat", XML),
    refused("startAfter", UNOFFICIAL),
    refused("pathFilter", UNOFFICIAL),
    refused("queueResourceGroup", UNOFFICIAL),
];

const fn refused(name: &'static str, why: &'static str) -> Refusal {
    Refusal { name, why }
}
