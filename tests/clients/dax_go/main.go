// Asks DAX what stands in each line of the input: {"operation": "getItem", "request": {...}}, in DynamoDB's JSON.
// Prints a line for each: {"answer": {...}}, or {"error": {"name": ..., "message": ..., "reasons": [...]}}.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/aws/aws-dax-go-v2/dax"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

type asked struct {
	Operation string
	Request   any
}

type refused struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Reasons any    `json:"reasons"`
}

var attributeValue = reflect.TypeFor[types.AttributeValue]()

func main() {
	config := dax.DefaultConfig()
	config.HostPorts = []string{os.Getenv("DAX_ENDPOINT")}
	config.Region = os.Getenv("AWS_REGION")
	client, err := dax.New(config)
	if err != nil {
		panic(err)
	}
	input := bufio.NewReader(os.Stdin)
	for {
		line, err := input.ReadString('\n')
		if err != nil {
			return
		}
		var one asked
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		if err := decoder.Decode(&one); err != nil {
			panic(err)
		}
		written, err := json.Marshal(outcome(client, one))
		if err != nil {
			panic(err)
		}
		fmt.Println(string(written))
	}
}

func outcome(client *dax.Dax, one asked) map[string]any {
	method := reflect.ValueOf(client).MethodByName(strings.ToUpper(one.Operation[:1]) + one.Operation[1:])
	request := reflect.New(method.Type().In(1).Elem())
	take(one.Request, request.Elem())
	results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), request})
	if err, failed := results[1].Interface().(error); failed {
		return map[string]any{"error": refusal(err)}
	}
	return map[string]any{"answer": give(results[0])}
}

func refusal(err error) refused {
	found := refused{Name: reflect.TypeOf(err).String(), Message: err.Error()}
	var known smithy.APIError
	if errors.As(err, &known) {
		found.Name, found.Message = known.ErrorCode(), known.ErrorMessage()
	}
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		found.Reasons = give(reflect.ValueOf(cancelled.CancellationReasons))
	}
	return found
}

// Fills a request, or a part of one, from JSON.
func take(value any, into reflect.Value) {
	if into.Type() == attributeValue {
		into.Set(reflect.ValueOf(attribute(value.(map[string]any))))
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		take(value, into.Elem())
	case reflect.Struct:
		for name, member := range value.(map[string]any) {
			take(member, into.FieldByName(name))
		}
	case reflect.Map:
		into.Set(reflect.MakeMap(into.Type()))
		for name, member := range value.(map[string]any) {
			one := reflect.New(into.Type().Elem()).Elem()
			take(member, one)
			into.SetMapIndex(reflect.ValueOf(name), one)
		}
	case reflect.Slice:
		list := value.([]any)
		into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
		for place, member := range list {
			take(member, into.Index(place))
		}
	case reflect.Int32:
		number, err := value.(json.Number).Int64()
		if err != nil {
			panic(err)
		}
		into.SetInt(number)
	case reflect.Bool:
		into.SetBool(value.(bool))
	default:
		into.SetString(value.(string))
	}
}

func raw(value any) []byte {
	found, err := base64.StdEncoding.DecodeString(value.(string))
	if err != nil {
		panic(err)
	}
	return found
}

func attribute(value map[string]any) types.AttributeValue {
	for name, content := range value {
		switch name {
		case "S":
			return &types.AttributeValueMemberS{Value: content.(string)}
		case "N":
			return &types.AttributeValueMemberN{Value: content.(string)}
		case "B":
			return &types.AttributeValueMemberB{Value: raw(content)}
		case "BOOL":
			return &types.AttributeValueMemberBOOL{Value: content.(bool)}
		case "NULL":
			return &types.AttributeValueMemberNULL{Value: content.(bool)}
		case "SS":
			return &types.AttributeValueMemberSS{Value: texts(content)}
		case "NS":
			return &types.AttributeValueMemberNS{Value: texts(content)}
		case "BS":
			var set [][]byte
			for _, one := range content.([]any) {
				set = append(set, raw(one))
			}
			return &types.AttributeValueMemberBS{Value: set}
		case "L":
			list := []types.AttributeValue{}
			for _, one := range content.([]any) {
				list = append(list, attribute(one.(map[string]any)))
			}
			return &types.AttributeValueMemberL{Value: list}
		case "M":
			members := map[string]types.AttributeValue{}
			for name, one := range content.(map[string]any) {
				members[name] = attribute(one.(map[string]any))
			}
			return &types.AttributeValueMemberM{Value: members}
		}
	}
	panic("an attribute value has no type")
}

func texts(value any) []string {
	var found []string
	for _, one := range value.([]any) {
		found = append(found, one.(string))
	}
	return found
}

// An answer, or a part of one, as JSON has it. Members that were not given are left out.
func give(value reflect.Value) any {
	if value.Type() == attributeValue {
		return give(value.Elem())
	}
	if value.Type().Implements(attributeValue) {
		_, name, _ := strings.Cut(value.Elem().Type().Name(), "AttributeValueMember")
		return map[string]any{name: give(value.Elem().FieldByName("Value"))}
	}
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		return give(value.Elem())
	case reflect.Struct:
		members := map[string]any{}
		for place := range value.NumField() {
			name, member := value.Type().Field(place).Name, value.Field(place)
			if name != "ResultMetadata" && value.Type().Field(place).IsExported() && !isAbsent(member) {
				members[name] = give(member)
			}
		}
		return members
	case reflect.Map:
		members := map[string]any{}
		for _, name := range value.MapKeys() {
			members[name.String()] = give(value.MapIndex(name))
		}
		return members
	case reflect.Slice:
		if content, isBytes := value.Interface().([]byte); isBytes {
			return base64.StdEncoding.EncodeToString(content)
		}
		list := []any{}
		for place := range value.Len() {
			list = append(list, give(value.Index(place)))
		}
		return list
	default:
		return value.Interface()
	}
}

func isAbsent(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return value.IsNil()
	}
	return false
}
