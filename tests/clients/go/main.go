// What an application in Go asks of DynamoDB, with Amazon's SDK. Each case has a table of its own.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	tags "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

type item = map[string]types.AttributeValue

const patience = 60 * time.Second

var (
	ctx        = context.Background()
	client     *dynamodb.Client
	reader     *dynamodbstreams.Client
	identities *sts.Client
	tagging    *resourcegroupstaggingapi.Client
)

// must gives the answer of a call that does not fail.
func must[T any](answer T, err error) T {
	if err != nil {
		panic(err)
	}
	return answer
}

func equal(found, expected any) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Sprintf("%#v instead of %#v", found, expected))
	}
}

// failure gives the error of a call, which must be an E.
func failure[E error](err error) E {
	var found E
	if !errors.As(err, &found) {
		panic(fmt.Sprintf("%T (%v) instead of %v", err, err, reflect.TypeFor[E]()))
	}
	return found
}

func text(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }
func number(value int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: fmt.Sprint(value)}
}
func key(p string, s int) item { return item{"p": text(p), "s": number(s)} }

// withTable creates a table with a partition key p and a sort key s, and deletes it after use.
func withTable(use func(table *string)) {
	table := aws.String("go-" + rand.Text())
	must(client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: table,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("p"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("s"), AttributeType: types.ScalarAttributeTypeN},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("p"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("s"), KeyType: types.KeyTypeRange},
		},
		BillingMode: types.BillingModePayPerRequest,
		StreamSpecification: &types.StreamSpecification{
			StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages,
		},
	}))
	described := &dynamodb.DescribeTableInput{TableName: table}
	must(0, dynamodb.NewTableExistsWaiter(client).Wait(ctx, described, patience))
	use(table)
	must(client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: table}))
	must(0, dynamodb.NewTableNotExistsWaiter(client).Wait(ctx, described, patience))
}

func put(table *string, items ...item) {
	for _, one := range items {
		must(client.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: one}))
	}
}

func get(table *string, of item) item {
	return must(client.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: of, ConsistentRead: aws.Bool(true)})).Item
}

var cases = map[string]func(){
	"tables": func() {
		withTable(func(table *string) {
			found := must(client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: table})).Table
			equal(found.TableStatus, types.TableStatusActive)
			equal(time.Since(*found.CreationDateTime).Abs() < time.Hour, true)
			equal(slices.Contains(must(client.ListTables(ctx, nil)).TableNames, *table), true)
		})
		_, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("no-such-table")})
		failure[*types.ResourceNotFoundException](err)
	},
	"items": func() {
		withTable(func(table *string) {
			every := item{
				"p": text("every type"), "s": number(1),
				"text":     text("Gödel, Escher, Bach 🎼"),
				"number":   &types.AttributeValueMemberN{Value: "12345678901234567890123456789012345678"},
				"bytes":    &types.AttributeValueMemberB{Value: []byte{0, 127, 255}},
				"texts":    &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
				"numbers":  &types.AttributeValueMemberNS{Value: []string{"-1.5", "2"}},
				"binaries": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2, 3}}},
				"map": &types.AttributeValueMemberM{Value: item{
					"inner": &types.AttributeValueMemberL{Value: []types.AttributeValue{text("deep"), number(1)}},
				}},
				"list":    &types.AttributeValueMemberL{Value: []types.AttributeValue{number(1), text("x")}},
				"yes":     &types.AttributeValueMemberBOOL{Value: true},
				"nothing": &types.AttributeValueMemberNULL{Value: true},
			}
			put(table, every)
			equal(get(table, key("every type", 1)), every)
			equal(len(get(table, key("every type", 2))), 0)
			must(client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key("every type", 1)}))
			equal(len(get(table, key("every type", 1))), 0)
		})
	},
	"conditions": func() {
		withTable(func(table *string) {
			first := item{"p": text("a"), "s": number(1), "v": text("first")}
			put(table, first)
			_, err := client.PutItem(ctx, &dynamodb.PutItemInput{
				TableName: table, Item: key("a", 1), ConditionExpression: aws.String("attribute_not_exists(p)"),
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			})
			found := failure[*types.ConditionalCheckFailedException](err)
			equal(found.ErrorMessage(), "The conditional request failed")
			equal(found.Item, first)
		})
	},
	"updates": func() {
		withTable(func(table *string) {
			answer := must(client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
				TableName: table, Key: key("a", 1), ReturnValues: types.ReturnValueAllNew,
				UpdateExpression:          aws.String("SET #v = :v ADD hits :one"),
				ExpressionAttributeNames:  map[string]string{"#v": "value"},
				ExpressionAttributeValues: item{":v": text("new"), ":one": number(1)},
			}))
			equal(answer.Attributes, item{"p": text("a"), "s": number(1), "value": text("new"), "hits": number(1)})
		})
	},
	"queries": func() {
		withTable(func(table *string) {
			for n := range 7 {
				put(table, key("a", n), key("b", n))
			}
			found, pages := []item{}, 0
			for paging := dynamodb.NewQueryPaginator(client, &dynamodb.QueryInput{
				TableName: table, Limit: aws.Int32(3), KeyConditionExpression: aws.String("p = :p"),
				ExpressionAttributeValues: item{":p": text("a")}, ScanIndexForward: aws.Bool(false),
			}); paging.HasMorePages(); pages++ {
				found = append(found, must(paging.NextPage(ctx)).Items...)
			}
			equal(pages, 3)
			equal(len(found), 7)
			for n, one := range found {
				equal(one, key("a", 6-n))
			}
		})
	},
	"scans": func() {
		withTable(func(table *string) {
			for n := range 5 {
				put(table, key(fmt.Sprint(n), n))
			}
			count := 0
			for paging := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{
				TableName: table, Limit: aws.Int32(2), FilterExpression: aws.String("s >= :two"),
				ExpressionAttributeValues: item{":two": number(2)},
			}); paging.HasMorePages(); {
				count += int(must(paging.NextPage(ctx)).Count)
			}
			equal(count, 3)
		})
	},
	"batches": func() {
		withTable(func(table *string) {
			writes, keys := []types.WriteRequest{}, []item{}
			for n := range 25 {
				writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: key("a", n)}})
				keys = append(keys, key("a", n))
			}
			written := must(client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
				RequestItems: map[string][]types.WriteRequest{*table: writes},
			}))
			equal(len(written.UnprocessedItems), 0)
			got := must(client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: map[string]types.KeysAndAttributes{*table: {Keys: keys}},
			}))
			equal(len(got.Responses[*table]), 25)
			equal(len(got.UnprocessedKeys), 0)
		})
	},
	"transactions": func() {
		withTable(func(table *string) {
			put(table, key("there", 1))
			absent := aws.String("attribute_not_exists(p)")
			_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
				TransactItems: []types.TransactWriteItem{
					{Put: &types.Put{TableName: table, Item: key("new", 1)}},
					{Put: &types.Put{TableName: table, Item: key("there", 1), ConditionExpression: absent}},
				},
			})
			codes := []string{}
			for _, reason := range failure[*types.TransactionCanceledException](err).CancellationReasons {
				codes = append(codes, *reason.Code)
			}
			equal(codes, []string{"None", "ConditionalCheckFailed"})
			equal(len(get(table, key("new", 1))), 0)
			must(client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
				TransactItems: []types.TransactWriteItem{
					{Put: &types.Put{TableName: table, Item: key("new", 1), ConditionExpression: absent}},
					{Delete: &types.Delete{TableName: table, Key: key("there", 1)}},
				},
			}))
			got := must(client.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{
				TransactItems: []types.TransactGetItem{
					{Get: &types.Get{TableName: table, Key: key("new", 1)}},
					{Get: &types.Get{TableName: table, Key: key("there", 1)}},
				},
			}))
			equal(got.Responses[0].Item, key("new", 1))
			equal(len(got.Responses[1].Item), 0)
		})
	},
	"partiql": func() {
		withTable(func(table *string) {
			must(client.ExecuteStatement(ctx, &dynamodb.ExecuteStatementInput{
				Statement:  aws.String(fmt.Sprintf(`INSERT INTO "%s" VALUE {'p': ?, 's': 1, 'v': 'x'}`, *table)),
				Parameters: []types.AttributeValue{text("a")},
			}))
			answer := must(client.ExecuteStatement(ctx, &dynamodb.ExecuteStatementInput{
				Statement:  aws.String(fmt.Sprintf(`SELECT v FROM "%s" WHERE p = ?`, *table)),
				Parameters: []types.AttributeValue{text("a")},
			}))
			equal(answer.Items, []item{{"v": text("x")}})
		})
	},
	"streams": func() {
		withTable(func(table *string) {
			put(table, key("a", 1))
			arn := must(client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: table})).Table.LatestStreamArn
			stream := must(reader.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: arn}))
			records := []streams.Record{}
			for _, shard := range stream.StreamDescription.Shards {
				iterator := must(reader.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
					StreamArn: arn, ShardId: shard.ShardId, ShardIteratorType: streams.ShardIteratorTypeTrimHorizon,
				})).ShardIterator
				answer := must(reader.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator}))
				records = append(records, answer.Records...)
			}
			equal(len(records), 1)
			equal(records[0].EventName, streams.OperationTypeInsert)
			equal(records[0].Dynamodb.NewImage["p"], &streams.AttributeValueMemberS{Value: "a"})
		})
	},
	"ttl": func() {
		withTable(func(table *string) {
			must(client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
				TableName: table,
				TimeToLiveSpecification: &types.TimeToLiveSpecification{
					AttributeName: aws.String("expires"), Enabled: aws.Bool(true),
				},
			}))
			found := must(client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: table}))
			equal(*found.TimeToLiveDescription.AttributeName, "expires")
		})
	},
	"identity": func() {
		found := must(identities.GetCallerIdentity(ctx, nil))
		equal([]string{*found.Account, *found.Arn, *found.UserId},
			[]string{"000000000000", "arn:aws:iam::000000000000:root", "000000000000"})
		key := os.Getenv("AWS_ACCESS_KEY_ID")
		if len(key) >= 16 {
			info := must(identities.GetAccessKeyInfo(ctx, &sts.GetAccessKeyInfoInput{AccessKeyId: aws.String(key)}))
			equal(*info.Account, "000000000000")
		}
		_, err := identities.GetAccessKeyInfo(ctx, &sts.GetAccessKeyInfoInput{AccessKeyId: aws.String("short")})
		equal(failure[smithy.APIError](err).ErrorCode(), "ValidationError")
	},
	"tags": func() {
		withTable(func(table *string) {
			arn := *must(client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: table})).Table.TableArn
			failed := must(tagging.TagResources(ctx, &resourcegroupstaggingapi.TagResourcesInput{
				ResourceARNList: []string{arn, arn + "-nowhere"}, Tags: map[string]string{*table: "a"},
			})).FailedResourcesMap
			equal(len(failed), 1)
			equal(string(failed[arn+"-nowhere"].ErrorCode), "ResourceNotFoundException")
			found := []tags.ResourceTagMapping{}
			pages := resourcegroupstaggingapi.NewGetResourcesPaginator(tagging, &resourcegroupstaggingapi.GetResourcesInput{
				TagFilters:       []tags.TagFilter{{Key: table, Values: []string{"a", "b"}}},
				ResourcesPerPage: aws.Int32(1),
			})
			for pages.HasMorePages() {
				found = append(found, must(pages.NextPage(ctx)).ResourceTagMappingList...)
			}
			equal(len(found), 1)
			equal(*found[0].ResourceARN, arn)
			equal(found[0].Tags, []tags.Tag{{Key: table, Value: aws.String("a")}})
			equal(slices.Contains(must(tagging.GetTagKeys(ctx, nil)).TagKeys, *table), true)
			values := &resourcegroupstaggingapi.GetTagValuesInput{Key: table}
			equal(must(tagging.GetTagValues(ctx, values)).TagValues, []string{"a"})
			must(tagging.UntagResources(ctx, &resourcegroupstaggingapi.UntagResourcesInput{
				ResourceARNList: []string{arn}, TagKeys: []string{*table},
			}))
			equal(must(tagging.GetTagValues(ctx, values)).TagValues, []string{})
		})
		_, err := tagging.GetResources(ctx, &resourcegroupstaggingapi.GetResourcesInput{ResourcesPerPage: aws.Int32(101)})
		failure[*tags.InvalidParameterException](err)
	},
	// Runs with a secret that is not the server's.
	"wrong_secret": func() {
		_, err := client.ListTables(ctx, nil)
		equal(failure[smithy.APIError](err).ErrorCode(), "InvalidSignatureException")
	},
}

// run gives what failed in a case, or nil.
func run(name string) (failed any) {
	defer func() {
		if reason := recover(); reason != nil {
			failed = fmt.Sprintf("%v\n%s", reason, debug.Stack())
		}
	}()
	cases[name]()
	return nil
}

func main() {
	settings := must(config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(1)))
	client, reader = dynamodb.NewFromConfig(settings), dynamodbstreams.NewFromConfig(settings)
	identities, tagging = sts.NewFromConfig(settings), resourcegroupstaggingapi.NewFromConfig(settings)
	out := json.NewEncoder(os.Stdout)
	for _, name := range os.Args[1:] {
		must(0, out.Encode(map[string]any{"case": name, "failure": run(name)}))
	}
}
