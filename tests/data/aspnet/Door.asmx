<%@ WebService Language="C#" Class="Door" %>
using System.Web.Services;

[WebService(Namespace = "urn:door")]
public class Door : WebService {
    [WebMethod] public string Open(string id) { return "open " + id; }
}
